"""The communication between supervisor and child: frames on pipes, claims, the scoreboard."""
