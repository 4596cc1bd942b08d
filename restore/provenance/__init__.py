"""Rights: whose consent an altered face or voice rests on."""
