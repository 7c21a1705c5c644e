"""What connects the supervisor with children and jobs: frames, claims, scoreboard, job socket."""
