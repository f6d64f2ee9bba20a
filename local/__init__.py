"""The stack without containers: PostgreSQL, uWSGI, the worker and nginx from wheels, under one supervisor."""
