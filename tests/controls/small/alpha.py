"""The stand-in for the service `alpha`."""

from tests.controls import stand_in

if __name__ == "__main__":
    stand_in.serve("alpha")
