"""`mesh doctor`: whether a mesh is as it should be, and how to mend what is not."""
