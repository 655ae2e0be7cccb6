"""What several tests need to tell their stories."""
