"""The stand-in for the service `mailbox`."""

from tests.controls import stand_in

if __name__ == "__main__":
    stand_in.serve("mailbox")
