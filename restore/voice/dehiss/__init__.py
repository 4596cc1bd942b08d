"""`dehiss`: hiss and other lasting noise turned down."""
