"""`python -m uniter_cli`, for launchers that start a module: torchrun, accelerate launch."""

from uniter_cli.main import run

if __name__ == "__main__":
    run()
