"""System checks of the settings: each has an id and a sentence that says the mend."""
