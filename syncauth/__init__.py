"""syncauth: sync for offline-first apps that owns the login."""
