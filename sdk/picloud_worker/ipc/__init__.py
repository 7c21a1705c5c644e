"""What supervisor and child share: frames on pipes, claims, the scoreboard."""
