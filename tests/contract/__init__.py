"""What f0make promises, judged from outside: the command, servers, clusters, real steps."""
