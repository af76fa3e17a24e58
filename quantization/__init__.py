"""int8 versions of exported models (planned; nothing is exported here yet)."""
