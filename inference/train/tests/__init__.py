"""Tests of the training code; pytest inference/train"""
