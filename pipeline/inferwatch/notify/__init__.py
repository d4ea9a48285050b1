"""From a transition on the alerts topic to a message that someone has received."""
