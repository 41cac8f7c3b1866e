"""Small models on the frozen representation of a user: one representation, several jobs (article sections 6 and 7)."""
