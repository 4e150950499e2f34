"""The brain of Daena Mesh: watches a server of language models, says how it is, and answers questions with it."""
