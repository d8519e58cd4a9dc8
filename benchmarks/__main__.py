"""`make bench`: every measurement, one after another."""

from benchmarks import memory

if __name__ == "__main__":
    memory.main()
