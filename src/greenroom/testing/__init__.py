"""Public fakes of every port, and a whole house in memory."""
