"""The sets of images, each read as integer pixels with labels.

===========================  ====================================================================
``loading.py``               `SETS`; `load`, `load_test`: a set as tensors; `require`
``image_set.py``             `Images`, integer pixels with labels; `ImageSet`
``digits.py``                1,797 handwritten digits of 8 x 8 pixels, from scikit-learn
``synthetic.py``             7,000 generated images of CIFAR's shape
``cifar10.py``               finds and reads the 60,000 images of CIFAR-10
``cifar10_files.py``         its two published file formats, read without trusting them
``principal_components.py``  images by their principal components
``mnist.py``                 finds and reads the 70,000 images each of MNIST and Fashion-MNIST
===========================  ====================================================================
"""
