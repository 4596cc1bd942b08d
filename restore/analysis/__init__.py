"""Detectors and estimators that several analyzers share. No I/O."""
