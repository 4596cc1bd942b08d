"""The units of a degradation vector (blur, noise, compression), which networks are trained with."""

BLUR_UNIT = 3.0
"""A blur of 1 is a Gaussian of this sigma, in pixels."""

NOISE_UNIT = 0.1
"""A noise of 1 is this standard deviation of samples in [0, 1], at mid-grey."""
