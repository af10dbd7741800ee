"""`synap verify`: checks exports, proofs and the logs of servers."""
