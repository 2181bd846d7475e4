from .judge import Judge as Judge, Judgement as Judgement
