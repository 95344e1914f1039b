-- They told too much of the requests: whoever had a digest could try passwords on it.
DELETE FROM answers;
