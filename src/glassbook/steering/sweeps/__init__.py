"""The parts of a sweep: what is asked, the grid, the choice, the trials of the controls, and the words for it."""
