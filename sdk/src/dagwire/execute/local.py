def run_in_process(job, **_options):
    raise NotImplementedError
