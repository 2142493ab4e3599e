# What the two roles may do. A policy holds 6,144 characters, hence several. Names (`mvdb-*`) and the tag product=mvdb bound
# them to this product; what AWS cannot bound by either is bound to the region.
locals {
  policies = {
    read = {
      roles = ["plan", "deploy"]
      statements = {
        # Descriptions, not data: no item, no log line, no object but the state and the functions' packages.
        DescribeEverything = {
          Action = concat([
            "apigateway:GET", "billing:GetBillingViewData", "budgets:ListTagsForResource", "budgets:ViewBudget",
            "logs:GetDataProtectionPolicy", "logs:GetLogDelivery", "sts:GetCallerIdentity", "tag:GetResources",
            "xray:GetTraceSegmentDestination",
            ], flatten([
              for service in ["acm", "backup", "cloudwatch", "codedeploy", "dynamodb", "ec2", "events", "iam", "kms", "lambda", "logs", "route53resolver", "signer", "sns", "sqs", "wafv2", "cognito-idp"] :
              # Their Get is an item, or a log line.
              concat(["${service}:Describe*", "${service}:List*"], contains(["dynamodb", "logs"], service) ? [] : ["${service}:Get*"])
          ]))
          Resource = "*"
        }
        # A plan asks every setting of the packages' bucket, and whether the packages are still those that were uploaded.
        ReadPackages = {
          Action   = concat(["s3:GetBucket*", "s3:List*", "s3:GetObject", "s3:GetObjectTagging"], [for setting in ["Accelerate", "Encryption", "Lifecycle", "Replication"] : "s3:Get${setting}Configuration"])
          Resource = "arn:aws:s3:::mvdb-*"
        }
        ReadState = {
          Action   = ["s3:GetObject"]
          Resource = "${local.state}/mvdb/*"
        }
        ListState = {
          Action   = ["s3:ListBucket"]
          Resource = local.state
        }
        DecryptState = {
          Action   = ["kms:Decrypt"]
          Resource = aws_kms_key.this["state"].arn
        }
        # Without it Lambda returns an error instead of a function's variables, and every plan sets them again.
        DecryptVariables = {
          Action   = ["kms:Decrypt"]
          Resource = "arn:aws:kms:${local.regional}:key/*"
          Condition = { StringEquals = {
            "aws:ResourceTag/product" = "mvdb"
            "kms:ViaService"          = "lambda.${var.region}.amazonaws.com"
          } }
        }
      }
    }

    # A plan of main is saved beside the state, under its digest, and read there by the job that applies it.
    write-plan = {
      roles = ["plan", "deploy"]
      statements = {
        SavePlan    = { Action = ["s3:PutObject"], Resource = "${local.state}/plans/*" }
        EncryptPlan = { Action = ["kms:GenerateDataKey"], Resource = aws_kms_key.this["state"].arn }
      }
    }

    write-state = {
      roles = ["deploy"]
      statements = {
        ReadPlan   = { Action = ["s3:GetObject"], Resource = "${local.state}/plans/*" }
        WriteState = { Action = ["s3:PutObject"], Resource = "${local.state}/mvdb/*" }
        Unlock     = { Action = ["s3:DeleteObject"], Resource = "${local.state}/mvdb/*.tflock" } # the state itself it cannot delete
        EncryptIt  = { Action = ["kms:GenerateDataKey"], Resource = aws_kms_key.this["state"].arn }
        # It administers tables and logs; what is in them is not its business.
        NoData = {
          Effect   = "Deny"
          Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQL*", "logs:GetLogEvents", "logs:FilterLogEvents", "logs:StartQuery", "logs:StartLiveTail", "logs:Unmask"]
          Resource = "*"
        }
      }
    }

    # It adds to the records and reads them. No right to delete a version, to shorten how long it stays, or to pass the lock by.
    evidence = {
      roles = ["deploy"]
      statements = {
        KeepRecords = { Action = ["s3:GetObject", "s3:PutObject"], Resource = "${aws_s3_bucket.this["evidence"].arn}/*" }
        EncryptThem = { Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = aws_kms_key.this["evidence"].arn }
      }
    }

    product = {
      roles = ["deploy"]
      statements = {
        ByName = {
          Action = ["dynamodb:*", "lambda:*", "sns:*", "sqs:*", "events:*", "cloudwatch:*", "wafv2:*", "backup:*", "budgets:*", "codedeploy:*", "signer:*", "logs:*", "s3:*"]
          Resource = concat(
            [for arn in [
              "dynamodb:${local.regional}:table/mvdb-*", "lambda:${local.regional}:function:mvdb-*", "lambda:${local.regional}:layer:mvdb-*", "sns:${local.regional}:mvdb-*",
              "sqs:${local.regional}:mvdb-*", "events:${local.regional}:rule/mvdb-*", "cloudwatch:${local.regional}:alarm:mvdb-*", "cloudwatch::${var.account_id}:dashboard/mvdb-*",
              "wafv2:${local.regional}:regional/*/mvdb-*", "wafv2:${local.regional}:regional/managedruleset/*", "backup:${local.regional}:backup-vault:mvdb-*", "budgets::${var.account_id}:budget/mvdb-*",
              "codedeploy:${local.regional}:application:mvdb-*", "codedeploy:${local.regional}:deploymentgroup:mvdb-*", "codedeploy:${local.regional}:deploymentconfig:mvdb-*", "signer:${local.regional}:/signing-profiles/mvdb*",
            ] : "arn:aws:${arn}"],
            ["arn:aws:s3:::mvdb-*"],
            [for group in ["/aws/lambda/mvdb-*", "/aws/api-gateway/mvdb-*", "/aws/vpc/mvdb-*", "aws-waf-logs-mvdb-*", "API-Gateway-Execution-Logs_*"] : "arn:aws:logs:${local.regional}:log-group:${group}"],
          )
        }
        # Their names are ids that AWS gives.
        ById = {
          Action = [
            "apigateway:AddCertificateToDomain", "apigateway:DELETE", "apigateway:PATCH", "apigateway:POST",
            "apigateway:PUT", "apigateway:SetWebACL", "apigateway:UpdateRestApiPolicy",
            "backup:CreateBackupPlan", "backup:CreateBackupSelection", "backup:DeleteBackupPlan",
            "backup:DeleteBackupSelection", "backup:TagResource", "backup:UntagResource", "backup:UpdateBackupPlan",
            "lambda:DeleteCodeSigningConfig", "lambda:TagResource", "lambda:UntagResource",
            "lambda:UpdateCodeSigningConfig",
          ]
          Resource = concat(
            # Not /account: the logging role is this folder's.
            [for path in ["restapis", "domainnames", "clientcertificates", "tags", "vpclinks"] : "arn:aws:apigateway:${var.region}::/${path}*"],
            ["arn:aws:backup:${local.regional}:backup-plan:*", "arn:aws:lambda:${local.regional}:code-signing-config:*"],
          )
        }
        # Keys and user pools bear the tag from their first moment.
        CreateTagged = {
          Action    = ["kms:CreateKey", "kms:TagResource", "cognito-idp:CreateUserPool", "cognito-idp:TagResource"]
          Resource  = "*"
          Condition = { StringEquals = { "aws:RequestTag/product" = "mvdb" } }
        }
        ChangeTagged = {
          Action    = ["kms:*", "cognito-idp:*"]
          Resource  = ["arn:aws:kms:${local.regional}:key/*", "arn:aws:cognito-idp:${local.regional}:userpool/*"]
          Condition = local.tagged
        }
        # Any key: these follow its creation within a second, and its tag may count only five minutes later.
        # https://docs.aws.amazon.com/kms/latest/developerguide/tag-authorization.html
        NameNewKeys = {
          Action   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:EnableKeyRotation", "kms:UpdateAlias"]
          Resource = [for kind in ["alias/mvdb-*", "key/*"] : "arn:aws:kms:${local.regional}:${kind}"]
        }
        # AWS knows no resource for these, or, as with a composite alarm, takes no narrower one.
        Region = {
          Action = [
            "backup-storage:MountCapsule", "cloudwatch:PutAnomalyDetector", "cloudwatch:PutCompositeAlarm",
            "codedeploy:StopDeployment", "cognito-idp:CreateUserPoolDomain", "cognito-idp:DeleteUserPoolDomain",
            "cognito-idp:UpdateUserPoolDomain", "lambda:CreateCodeSigningConfig", "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery", "logs:DeleteQueryDefinition", "logs:DeleteResourcePolicy",
            "logs:PutQueryDefinition", "logs:PutResourcePolicy", "logs:UpdateLogDelivery", "signer:PutSigningProfile",
            "signer:StartSigningJob", "sns:SetSubscriptionAttributes", "sns:Unsubscribe", "wafv2:AssociateWebACL",
            "wafv2:DisassociateWebACL", "wafv2:PutLoggingConfiguration",
          ]
          Resource  = "*"
          Condition = local.here
        }
      }
    }

    network = {
      roles = ["deploy"]
      statements = {
        Region = {
          Action = concat([for thing in ["Vpc", "Subnet", "RouteTable", "SecurityGroup", "VpcEndpoints", "FlowLogs", "Tags"] : "ec2:Delete${thing}"],
            [for thing in ["Vpc", "Subnet", "RouteTable", "SecurityGroup", "VpcEndpoint", "FlowLogs", "Tags"] : "ec2:Create${thing}"],
            [for thing in ["VpcAttribute", "SubnetAttribute", "VpcEndpoint", "SecurityGroupRules"] : "ec2:Modify${thing}"],
            ["ec2:AssociateRouteTable", "ec2:DisassociateRouteTable", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "ec2:DeleteNetworkInterface", "ec2:DetachNetworkInterface"],
            # No gateway, no route, no peering: a network made by this role has no way out.
          [for action in ["Create", "Delete", "Update", "Associate", "Disassociate", "Import"] : "route53resolver:${action}Firewall*"], ["route53resolver:TagResource", "route53resolver:UntagResource"])
          Resource  = "*"
          Condition = local.here
        }
        # Whoever makes an endpoint with a private name joins its zone, too; Route 53 is not in the region, but in the world.
        NameEndpoints = { Action = ["route53:AssociateVPCWithHostedZone"], Resource = ["arn:aws:route53:::hostedzone/*", "arn:aws:ec2:${local.regional}:vpc/*"] }
      }
    }

    identity = {
      roles = ["deploy"]
      statements = {
        RolesWithinTheBoundary = {
          Action    = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy"]
          Resource  = "arn:aws:iam::${var.account_id}:role/mvdb-*"
          Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
        }
        RolesThemselves = {
          Action   = ["iam:DeleteRole", "iam:UpdateRole", "iam:UpdateRoleDescription", "iam:UpdateAssumeRolePolicy", "iam:TagRole", "iam:UntagRole"]
          Resource = "arn:aws:iam::${var.account_id}:role/mvdb-*"
        }
        GiveRolesToServices = {
          Action    = ["iam:PassRole"]
          Resource  = "arn:aws:iam::${var.account_id}:role/mvdb-*"
          Condition = { StringEquals = { "iam:PassedToService" = ["lambda.amazonaws.com", "backup.amazonaws.com", "vpc-flow-logs.amazonaws.com", "codedeploy.amazonaws.com"] } }
        }
        ServicesOwnRoles = {
          Action    = ["iam:CreateServiceLinkedRole"]
          Resource  = "arn:aws:iam::${var.account_id}:role/aws-service-role/*"
          Condition = { StringEquals = { "iam:AWSServiceName" = ["wafv2.amazonaws.com", "ops.apigateway.amazonaws.com", "backup.amazonaws.com", "replication.dynamodb.amazonaws.com", "lambda.amazonaws.com"] } }
        }
        # Else it could widen itself, its boundary, or who may be it.
        NotItself = {
          Effect   = "Deny"
          Action   = ["iam:*"]
          Resource = [for kind in ["role", "policy"] : "arn:aws:iam::${var.account_id}:${kind}/${local.name}-*"]
        }
      }
    }
  }
}
