"""One command per figure; the last line of each is JSON."""
