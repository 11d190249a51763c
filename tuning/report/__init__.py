"""What a search shows: its page, its TensorBoard logs, its leaderboard on a terminal."""

from tuning.report.leaderboard import Leaderboard, render_leaderboard
from tuning.report.page import write_page
from tuning.report.tensorboard import write_trial

__all__ = ["Leaderboard", "render_leaderboard", "write_page", "write_trial"]
