"""The trained model as the unit under test: capabilities, slices, and the model they look at.

`judge` decides for each input whether the model answered as it should, after CheckList's three
kinds (Ribeiro et al. 2020): *MFT*, minimum functionality; *INV*, invariance; *DIR*, a directional
expectation. `Rate` says how often it did not. `trained` makes the model once for all tests, and
`handover` takes it to a fresh process as the inference service would. Test side: Python 3.9, torch
imported when it is needed.
"""
