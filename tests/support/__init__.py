"""What several tests start from.

- `programs`: many commands in one process, for tables of what each said
- `short_runs`: runs of three epochs, with checkpoints or without
- `bare_sweeps`: sweep folders with configs and results only
- `written_sweeps`: sweep folders as runs leave them, by the program's own writer
- `toy_app`: sweeps of an app that is not fcsweep
- `full_disk`: a command on a disk that fills up
- `notebooks`: the notebooks, and one of them run from scratch
- `report_pages`: a report page taken apart
- `terminals`: a program on an emulated terminal
"""
