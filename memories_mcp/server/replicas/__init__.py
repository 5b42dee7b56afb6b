"""What several replicas of the server share in Redis; the only importer of `redis`, imported if Redis is configured."""
