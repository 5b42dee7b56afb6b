"""Pictures and clips out of video files, by PyAV, which the extra `media` installs, and the downloaded videos."""
