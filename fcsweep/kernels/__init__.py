"""Why a trial has the same bits alone and in a stack, and why a step is fast.

=======================  ==================================================================
``arithmetic.py``        products and sums of equal bits in any stack
``products.py``          ways to multiply the matrices of a stack, and in how many threads
``processor.py``         which library multiplies large matrices
``hidden_units.py``      normalizations and activations in place, and back
``forward_backward.py``  a minibatch through the layers and back, prepared once
``arrays.py``            NumPy arrays and numbers as tensors, and back
``parameters.py``        the named parameters of a net in one piece of memory
``python_numbers.py``    a number for one trial, a list for a stack
``random_streams.py``    named streams of random numbers
``threads.py``           how many threads torch computes with
=======================  ==================================================================
"""
