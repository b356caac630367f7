"""Images for those who have Docker; docker-compose.yml builds them."""
