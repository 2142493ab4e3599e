output "deployment_group" {
  description = "The plug: what a release asks CodeDeploy for, and the alarms that stop it."
  value = {
    application = aws_codedeploy_app.this.name
    name        = aws_codedeploy_deployment_group.this.deployment_group_name
    alarms      = var.alarms
  }
}
