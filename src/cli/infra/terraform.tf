# What a Levain run needs of an AWS account: a bucket, two roles, a queue. Nothing else is made.
# Workers need outbound HTTPS only. In public subnets they get a public address; private ones need a NAT,
# or endpoints for S3, ECR (api, dkr) and CloudWatch Logs.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "vpc" { type = string }
variable "subnets" { type = list(string) }
variable "bucket" { type = string }
variable "image" {
  type        = string
  description = "The image of the workers, as `levain image print-dockerfile` makes it"
}
variable "max_vcpus" {
  type    = number
  default = 256
}

locals {
  tasks_may_assume = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_s3_bucket" "runs" {
  bucket = var.bucket
}

resource "aws_iam_role" "job" {
  name_prefix        = "levain-job-"
  assume_role_policy = local.tasks_may_assume
  inline_policy {
    name = "store"
    policy = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Effect   = "Allow"
          Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
          Resource = "${aws_s3_bucket.runs.arn}/*"
        },
        {
          Effect   = "Allow"
          Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
          Resource = aws_s3_bucket.runs.arn
        },
      ]
    })
  }
}

resource "aws_iam_role" "execution" {
  name_prefix         = "levain-execution-"
  assume_role_policy  = local.tasks_may_assume
  managed_policy_arns = ["arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"]
}

resource "aws_security_group" "workers" {
  description = "Levain workers, outbound HTTPS only"
  vpc_id      = var.vpc
  egress {
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_batch_compute_environment" "workers" {
  type = "MANAGED"
  compute_resources {
    type               = "FARGATE_SPOT"
    max_vcpus          = var.max_vcpus
    subnets            = var.subnets
    security_group_ids = [aws_security_group.workers.id]
  }
}

resource "aws_batch_job_queue" "workers" {
  name     = "levain"
  state    = "ENABLED"
  priority = 1
  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.workers.arn
  }
}

resource "aws_batch_job_definition" "worker" {
  name                  = "levain-worker"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  propagate_tags        = true
  container_properties = jsonencode({
    image            = var.image
    jobRoleArn       = aws_iam_role.job.arn
    executionRoleArn = aws_iam_role.execution.arn
    resourceRequirements = [
      { type = "VCPU", value = "2" },
      { type = "MEMORY", value = "4096" },
    ]
    networkConfiguration = { assignPublicIp = "ENABLED" }
    logConfiguration     = { logDriver = "awslogs" }
  })
}

output "store_url" { value = "s3://${aws_s3_bucket.runs.bucket}/runs" }
output "queue" { value = aws_batch_job_queue.workers.name }
