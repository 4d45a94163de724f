"""Long runs that cause failures around accounts, and compare what was sent with what was reported: make torture."""
