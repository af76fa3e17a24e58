"""Cases of every Core ML operator that the evaluator knows, by the modules of its operators."""
