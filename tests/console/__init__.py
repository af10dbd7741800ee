"""The console in Chromium, against a real server with a log in it. The parts of pages are found by role and label."""
