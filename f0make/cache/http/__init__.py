"""A cache behind an HTTP server: Bazel's protocol (`/ac/`, `/cas/`, SHA-256) as bazel-remote speaks it, or WebDAV."""
