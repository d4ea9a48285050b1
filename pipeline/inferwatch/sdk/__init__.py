"""The producer side: embedded in model servers, which it must never slow or break."""
