"""What Keyway's wire needs beside the rest: vaults and roles, and how its orders become syncs of ours."""
