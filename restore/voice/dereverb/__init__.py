"""`dereverb`: the late reverberation of a room predicted and subtracted."""
