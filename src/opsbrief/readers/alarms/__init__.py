"""What monitoring systems write down: Monit's log and status, the log of Nagios and its kin, Icinga's histories.

Pure readers of lines and answers; who asks for them are the sources.
"""
