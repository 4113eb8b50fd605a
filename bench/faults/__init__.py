"""What model files and checkpoints promise under damage, forgery, kills and failing disks."""
