"""Reading and writing pictures, sound and everything else a film file holds. The only room that imports av."""
