"""The stand-in for bootstrap and first start."""

from tests.controls import stand_in

if __name__ == "__main__":
    stand_in.first_start()
