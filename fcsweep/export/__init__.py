"""``python -m fcsweep.export RUN``: the best net of a run, as plain torch and as ONNX.

==================  ============================================================================
``__main__.py``     the command
``plain_torch.py``  ``model.py`` and ``model.safetensors``: an ``nn.Sequential``
``onnx_graph.py``   ``model.onnx``
``writing.py``      from a run to the files, each checked by its scores
==================  ============================================================================
"""
