"""From a picture to a prediction and its drawing, for artifacts and the reference alike."""
